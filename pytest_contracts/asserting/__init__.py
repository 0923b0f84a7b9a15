"""Which assertions a procedure reached: its module and its helpers are rewritten so as to count.

pytest rewrites assertions so that a failure explains itself; this room rewrites them so that a
success can be told from an assertion that never ran, or that nothing could have failed.
"""
