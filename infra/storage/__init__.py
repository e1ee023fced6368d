"""The read model in SQL: tables, what fills them, and what is read of them."""
