"""What must hold when things fail: nothing accepted is lost, nothing is sent twice without an `unknown` event.

    make test                                   the short form, with all other tests
    make soak                                   the long form, then half an hour of mixed load and random faults
    python -m pytest tests/faults --long -k dot    some cases

Each case prints its sums at the end of the run: accepted (the answer was read), delivered, lost, doubled, unknown, and
how many of these there may be (connections x faults; after a power cut also every claimed email).

    trial.py                  a daemon, a server that logs, a client that knows what it was promised, and the sums
    site/sitecustomize.py     fails a daemon at one exact place: a system call, or a commit by what it changes
    disk.c, disk.py           a disk that is full, cannot be written, fails to fsync, or forgets in a power cut
    crowd.py, meter.py, soak.py    the long mixed load

To add a case: start a Trial, `arm` a place or change the world around it, and end with `tell(trial.finish())`. To add a
place: a `reach("name")` in sitecustomize.py.
"""
