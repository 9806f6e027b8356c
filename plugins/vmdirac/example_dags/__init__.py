"""DAGs to read, to copy into a DAGs folder, and to try. Nothing loads them by itself."""
