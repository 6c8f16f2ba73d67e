"""The ground that every package stands on: errors for users, files that are whole or absent, child processes that end with their parent."""
