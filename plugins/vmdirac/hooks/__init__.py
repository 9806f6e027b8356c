"""What talks to the world outside: one hook a cloud, one a job source. Hooks translate, they decide nothing."""
