"""Durable jobs: requests of millions of structures that outlive the process which took them.

Importing this package loads no database; `app.jobs.jobs.Jobs` opens one when there is a job.
"""
