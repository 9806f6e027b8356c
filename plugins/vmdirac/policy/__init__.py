"""Pure decisions over frozen data. Time and chance are arguments; nothing here reads, writes or calls anything."""
