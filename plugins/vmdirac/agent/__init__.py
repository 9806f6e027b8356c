"""The program that runs on a VM: one file, standard library only, copied to the VM as it is."""
