"""Stand-ins for what is outside of the code under test: a clock, a cloud, the VMs on it, and a world made of them."""
