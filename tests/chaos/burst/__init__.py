"""`make chaos STORM=deadlines`: 100,000 deadlines that are due in the same second.

They lie in the store of a real assessment worker, which runs by the system's clock: nobody holds time still.
How late one is raised, its event says itself (`raised_at` against the moment it was due from); how late it is
on the bus, the record's time stamp says, which the relay's client sets when it is sent.
"""
