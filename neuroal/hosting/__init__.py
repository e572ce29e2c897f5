"""Where the app is hosted, and what that allows: a profile is data, read from the environment's word for it."""
