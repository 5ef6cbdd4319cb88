"""One partition of a stage each: records in, records to send out; nothing here speaks to a broker.

What a task does is a function of the records it has read, in the order of their offsets.
"""
