"""Addresses and URLs that must never be connected to. Data only; each entry was a way into somebody's network once.

`ADDRESSES` go to the guard, and as literals through the URL gate. `URLS` go through the gate. `NAMES` stand for host
names that pass the gate and resolve to a refused address.
"""

# ruff: noqa: E501, SIM905, RUF001, RUF005 -- a table of look-alikes, kept dense enough to be read

from __future__ import annotations

import ipaddress

_IPV4_BLOCK_EDGES = """
0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24
192.31.196.0/24 192.52.193.0/24 192.88.99.0/24 192.168.0.0/16 192.175.48.0/24 198.18.0.0/15 198.51.100.0/24
203.0.113.0/24 224.0.0.0/4 240.0.0.0/4
""".split()

METADATA = """
169.254.169.254 169.254.170.2 169.254.170.23 168.63.129.16 100.100.100.200 192.0.0.192 169.254.0.23 169.254.42.42
fd00:ec2::254 fd00:ec2::23 fd20:ce::254 fd00:42::42 fe80::a9fe:a9fe
""".split()

_IPV4_MORE = """
0.0.0.0 0.0.0.1 10.1.2.3 100.100.1.1 127.0.0.1 127.0.0.2 127.1.1.1 127.255.255.254 169.254.1.1 172.17.0.1 172.31.255.254
192.0.0.8 192.0.0.9 192.0.0.10 192.0.0.170 192.168.0.1 192.168.1.1 198.19.255.255 224.0.0.1 224.0.0.251 239.255.255.250
240.0.0.1 255.255.255.254 255.255.255.255
""".split()

# Each of these, as IPv4, must stay refused however it is wrapped into IPv6.
_WRAPPED = """
127.0.0.1 10.0.0.1 169.254.169.254 192.168.1.1 172.16.0.1 100.64.0.1 0.0.0.0 168.63.129.16 224.0.0.1 255.255.255.255
""".split()

# A public IPv4 address does not make the wrapper acceptable.
_WRAPPED_PUBLIC = ["8.8.8.8", "93.184.216.34"]

_IPV6 = """
:: ::1 ::2 ::ffff ::1:0:0 100:: 100::1 100:0:0:1::1 2001::1 2001:2::1 2001:3::1 2001:4:112::1 2001:10::1 2001:20::1
2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff 2001:db8:: 2001:db8::1 2001:db8:ffff:ffff:ffff:ffff:ffff:ffff 2002:: 2002:808:808::1
2620:4f:8000::1 3fff:: 3fff::1 3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff 4000:: 5f00::1 5f00:ffff::1 6000::1 8000::1 a000::1
c000::1 e000::1 f000::1 f800::1 fc00:: fc00::1 fd00::1 fd12:3456:789a::1 fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff fe00::1
fe80:: fe80::1 fe80::ffff:ffff:ffff:ffff febf::1 fec0::1 feff::1 ff00:: ff01::1 ff02::1 ff02::2 ff02::fb ff05::1:3 ff0e::1
1::1 1000::1 1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 64:ff9a::1 64:ff9b:2::1 0:0:0:0:0:0:0:1 0000:0000:0000:0000:0000:0000:0000:0001
""".split()


def _edges(cidr: str) -> list[str]:
    network = ipaddress.ip_network(cidr)
    return [str(network[0]), str(network[-1])]


def _wrap(address: str) -> list[str]:
    """Write an IPv4 address in each of the IPv6 forms that carry one."""
    value = int(ipaddress.IPv4Address(address))
    high, low = value >> 16, value & 0xFFFF
    inverse = ~value & 0xFFFF_FFFF
    return [
        f"::ffff:{address}",
        f"::ffff:{high:x}:{low:x}",
        f"0:0:0:0:0:ffff:{high:x}:{low:x}",
        f"::{address}" if value > 1 else "::",
        f"::ffff:0:{high:x}:{low:x}",
        f"64:ff9b::{address}",
        f"64:ff9b:1::{address}",
        f"2002:{high:x}:{low:x}::1",
        f"2001:0:4136:e378:8000:63bf:{inverse >> 16:x}:{inverse & 0xFFFF:x}",
        f"2a00:1450:4001:800:0:5efe:{high:x}:{low:x}",
        f"2a00:1450:4001:800:200:5efe:{high:x}:{low:x}",
        f"fe80::5efe:{address}",
    ]


ADDRESSES = list(
    dict.fromkeys(
        [
            *(edge for cidr in _IPV4_BLOCK_EDGES for edge in _edges(cidr)),
            *METADATA,
            *_IPV4_MORE,
            *_IPV6,
            *(form for address in _WRAPPED + _WRAPPED_PUBLIC for form in _wrap(address)),
        ]
    )
)

NOT_ADDRESSES = (
    """
127.1 0x7f.1 0x7f000001 2130706433 017700000001 0177.0.0.1 127.0.0.1. 127.0.0.01 127.0.0.256 1.2.3.4.5 1.2.3 fe80::1%eth0
fe80::1%25eth0 ::1%lo [::1] ::ffff:127.0.0.1.2 :::1 1:2:3:4:5:6:7:8:9 12345::1 localhost 127.0.0.1/8 １２７.0.0.1 127。0。0。1
""".split()
    + ["", " 127.0.0.1", "127.0.0.1\n", "127.0.0.1\x00", "::1\x00"]
)

URLS = [
    # other ways to write 127.0.0.1 and its like, each understood by some resolver or library
    *(
        f"https://{host}/"
        for host in """
        0 0x0 00 0.0 127.1 127.0.1 127.00.0.1 127.0.0.01 0127.0.0.1 0177.0.0.1 0177.1 0177.0x0.0.1 0x7f.1 0x7f.0.0.1
        0x7F.0x0.0x0.0x1 0x7f000001 0X7F000001 0x7f.0x000001 2130706433 02130706433 017700000001 000000017700000001
        3232235777 0xc0a80101 0xa9fea9fe 2852039166 025177524776 0251.0376.0251.0376 0251.254.169.254 0xa9.0xfe.0xa9.0xfe
        169.254.43518 169.16689662 10.1 10.0.1 0xa.1 0xa000001 167772161 192.168.257 192.11010305 172.1048577
        4294967295 4294967296 4294967297 18446744073709551617 1.2.3 1.2.3.4.5 256.1.1.1 1.1.1.256 999.999.999.999
        127.0.0.1.. 127.0.0.1 127.0.0.1. 127.0.0.1.0x0 127.0.0.0x1 example.0 example.1 example.0x1 example.com.0x7f 1
        127.0.0.1:80 127.0.0.1:443 127.0.0.1:8443 0x7f.1:8443 0:8443 0.0.0.0 0.0.0.0:8443 0.0.0.0. 10.0.0.1 192.168.1.1:8443
        169.254.169.254 169.254.169.254.
        """.split()
    ),
    # Unicode that some libraries fold into digits, dots and letters
    *(
        f"https://{host}/"
        for host in """
        １２７.0.0.1 １２７．０．０．１ 127。0。0。1 127｡0｡0｡1 ①②⑦.⓪.⓪.① ⑯⑨。②⑤④。⑯⑨｡②⑤④ ⓛⓞⓒⓐⓛⓗⓞⓢⓣ ｌｏｃａｌｈｏｓｔ locaⓛhost
        ⓔⓧⓐⓜⓟⓛⓔ.com 𝟏𝟐𝟕.0.0.1 𝓁𝑜𝒸𝒶𝓁𝒽𝑜𝓈𝓉 loc\u00adalhost local\u200bhost lo\u2060calhost \ufefflocalhost ١٢٧.٠.٠.١ ℓocalhost
        ⁄127.0.0.1 example.com\u2044@127.0.0.1 evil\uff0f.com a\u2025b.com \u202e1.0.0.721 \u30fbcom xn--a.com xn--.com xn--zzzzzz.com
        """.split()
    ),
    # names that always mean this machine or its metadata service
    *(
        f"https://{host}/"
        for host in """
        localhost LOCALHOST localhost. localhost:8443 sub.localhost a.b.LocalHost metadata metadata.google.internal
        METADATA.google.internal. metadata.goog instance-data instance-data.ec2.internal metadata.azure.com
        metadata.azure.internal metadata.tencentyun.com kubernetes.default.svc kubernetes.default.svc.cluster.local
        """.split()
    ),
    # user information: what stands before @ is not the host, though it looks like it
    "https://good.example@127.0.0.1/", "https://good.example:443@127.0.0.1/", "https://user:secret@example.com/",
    "https://@127.0.0.1/", "https://:@127.0.0.1/", "https://a@b@127.0.0.1/", "https://127.0.0.1@example.com/",
    "https://example.com%40127.0.0.1/", "https://user@[::1]/", "https://169.254.169.254@example.com/",
    # readers that disagree on where the host ends
    "http://good.example\\@127.0.0.1/", "https://good.example\\.127.0.0.1/", "https:\\\\127.0.0.1\\", "https:/\\127.0.0.1",
    "https://good.example\t.evil.example/", "https://good.example\n.evil.example/", "https://good.example\r\n@127.0.0.1/",
    "https://exa mple.com/", " https://example.com/", "https://example.com/ ", "\thttps://example.com/", "https://example.com\x00/",
    "https://example.com/\x7f", "https://example.com\x0b/", "ht\ntps://example.com/", "https://127.0.0.1\x00.example.com/",
    "https://example.com/\r\nHost: 127.0.0.1", "https://example.com/ HTTP/1.1\r\nX: y", "https://example.com/%\r\n",
    "https://good.example#@127.0.0.1/", "https://127.0.0.1#good.example", "https://good.example/#", "https://#/", "https://?/",
    "https://good.example;@127.0.0.1/", "https://good.example&@127.0.0.1/", "https://[127.0.0.1]/", "https://[localhost]/",
    "https://[good.example]/", "https://[::1", "https://::1]/", "https://::1/", "https://[::1].good.example/", "https://[]/",
    "https://[::1]good.example/", "https://good.example[::1]/", "https://[[::1]]/", "https://[::1%25lo]/", "https://[::1%lo]/",
    "https://[fe80::1%25eth0]/", "https://[v1.1]/", "https://[::ffff:0x7f.1]/", "https://[::ffff:127.1]/", "https://[::1]:x/",
    "https://%31%32%37.0.0.1/", "https://127%2e0.0.1/", "https://loc%61lhost/", "https://example.com%00.evil.example/",
    "https://example.com%2f@127.0.0.1/", "https://example.com%5c@127.0.0.1/", "https://example%E3%80%82com/", "https://%00/",
    # ports
    "https://example.com:0/", "https://example.com:65536/", "https://example.com:99999/", "https://example.com:-1/",
    "https://example.com:+443/", "https://example.com:0443/", "https://example.com:443:443/", "https://example.com:/",
    "https://example.com: 443/", "https://example.com:４４３/", "https://example.com:0x1bb/", "https://example.com:443a/",
    "https://example.com:4294967739/", "https://example.com:22/", "https://example.com:25/", "https://example.com:3306/",
    "https://example.com:5432/", "https://example.com:6379/", "https://example.com:11211/", "https://example.com:2375/",
    "https://example.com:9092/", "https://example.com:27017/", "https://example.com:23/", "https://example.com:445/",
    "https://example.com:10250/", "https://[2606:4700:4700::1111]:22/",
    # schemes and shapes
    "", "example.com", "//example.com/", "/path", "https:", "https:/", "https://", "https:///", "https:///path", "https:example.com",
    "https:/example.com", "https//example.com", "://example.com", "file:///etc/passwd", "gopher://127.0.0.1:6379/_x", "dict://127.0.0.1/",
    "ftp://example.com/", "ldap://127.0.0.1/", "ws://example.com/", "wss://example.com/", "unix:///run/docker.sock", "jar:https://example.com!/",
    "data:text/plain,x", "javascript:alert(1)", "tftp://127.0.0.1/", "netdoc:///etc/passwd", "http+unix://%2Frun%2Fdocker.sock/",
    "url:https://127.0.0.1/", "hTTps//127.0.0.1", "https ://example.com", "https://.", "https://..", "https://.example.com/",
    "https://example..com/", "https://example.com../", "https://-example.com/", "https://example-.com/", "https://exa$mple.com/",
    "https://exa*mple.com/", "https://*/", "https://exa,mple.com/", "https://(example).com/", "https://{hub}.com/", "https://example.com|/",
    "https://" + "a" * 64 + ".com/", "https://" + "a." * 127 + "com/", "https://example.com/" + "a" * 2048, "https://_@/",
    "https://example.com/a b", "https://example.com/<x>", 'https://example.com/"x"', "https://example.com/{id}", "https://example.com/%",
    "https://example.com/%zz", "https://example.com/%1", "https://example.com/ü", "https://example.com/?q=ü", "https://example.com/^",
    "https://example.com/`", "https://example.com/?a|b", "https://example.com/[x]",
    # plain HTTP to where only HTTPS may go
    "http://example.com/", "HTTP://example.com:8080/", "http://1.1.1.1/", "http://[2606:4700:4700::1111]/",
]  # fmt: skip

NAMES = {
    "127.0.0.1.nip.io": ["127.0.0.1"],
    "169.254.169.254.nip.io": ["169.254.169.254"],
    "a9fea9fe.nip.io": ["169.254.169.254"],
    "localtest.me": ["127.0.0.1"],
    "six.localtest.me": ["::1"],
    "mapped.example": ["::ffff:10.0.0.1"],
    "nat64.example": ["64:ff9b::a9fe:a9fe"],
    "sixtofour.example": ["2002:7f00:1::1"],
    "both.example": ["93.184.216.34", "10.0.0.1"],
    "both-reversed.example": ["10.0.0.1", "93.184.216.34"],
    "hidden-in-v6.example": ["93.184.216.34", "fe80::1"],
    "last-of-many.example": [*(f"93.184.216.{n}" for n in range(1, 60)), "192.168.0.1"],
    "zone.example": ["fe80::1%eth0"],
    "odd.example": ["0x7f.1"],
    "cname-to-localhost.example": ["127.0.0.1", "::1"],
    "any.example": ["0.0.0.0"],
    "any-six.example": ["::"],
    "wire-server.example": ["168.63.129.16"],
    "carrier.example": ["100.64.1.1"],
    "multicast.example": ["224.0.0.1"],
}
