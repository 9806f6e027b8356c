"""Our own database: tables, queries, migrations. Nothing outside of this package writes SQL."""
