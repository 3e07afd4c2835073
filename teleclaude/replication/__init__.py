"""The one idea, pure: a reader has a snapshot at a version, then every later change in order. Nobody guesses.

A *version* is an epoch and a number (version.py). A *source* counts its changes in one epoch and keeps the last of
them in a *log* (change_log.py). A *reader* takes a *snapshot*, then *changes*, each from one number to a later one;
what does not follow is told, and the reader asks for what is missing or for a new snapshot (replica.py, change.py). A
reader that gets only parts of what a source has, over a connection that keeps order, knows a number for each part
(scopes.py).

    source                                      reader
    log = Log(4096, epoch)                      replica = Replica()
    log.append(change.number, change)           replica.replace(version, items)     # a snapshot: absent means gone
    log.since(reader's version)    ──────▶      replica.apply(change)               # APPLIED, REPEATED, NEED_SNAPSHOT
      None: give a snapshot instead             replica.version                     # what to ask for the rest with

To send many changes as one: `merge(log.since(version))`. A source of whole rows loses nothing by it.
It knows no wire, record, clock or process.
"""
