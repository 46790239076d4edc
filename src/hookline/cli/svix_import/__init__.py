"""Copies an organization's configuration from a Svix server (or anything with its API) to this one.

`calls` speaks to either side, `translation` says what must be there and what differs (pure), `copier` walks the source,
`report` keeps what came of each thing. Nothing is deleted; running it again changes only what differs.
"""
