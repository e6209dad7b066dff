"""Who does what when: the ledger of a run's jobs, the policy, the workers, the loop between them.

Nothing here knows what a job computes. What is scheduled is a `Task`: a name, what it needs, what
it costs, and the style it belongs to.
"""
