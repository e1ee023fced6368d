"""What people note about codes and documents, and what coders say to each other about segments and codes."""
