"""What a VM is given to boot with: user data from templates, and the secret that proves who it is."""
