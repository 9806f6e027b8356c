"""What a DIRAC configuration file says to VMDIRAC, taken over as Connections and Variables: ``vmdirac import-cs``.

The data flows through the files in this order: ``cfg_file`` reads the file into a tree, ``scope`` finds what of it is
VMDIRAC's, ``v1_…`` and ``v2_…`` make endpoints, images and pods of it with the tables of ``drivers`` and ``rules``,
``ledger`` keeps what became of each option, ``checks`` asks the real models, ``report`` and ``write`` put it down.
"""
