"""The scheduler: tasks and their state, the ledger, the policy, and the interface of executors.

Nothing here knows what a job computes. What is scheduled is a `Task`: a name, what it needs, what
it costs, and the style it belongs to.
"""
