"""Who may use the site, and what a viewer does not see."""
