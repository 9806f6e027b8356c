"""The program that runs on a VM: standard library only, joined into one file that VMs fetch."""
