"""Where results and pictures go."""
