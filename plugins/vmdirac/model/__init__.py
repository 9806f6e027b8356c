"""Plain data: states, transitions, instances, offers, task queues, errors. Imports nothing but the standard library."""
