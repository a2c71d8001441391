"""What Causeway knows, for analysts: a schema of documented views, and login roles that see their projects in it."""
