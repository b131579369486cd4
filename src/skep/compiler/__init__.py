"""From what users declared and what is running to what each proxy must do (IR) and what to tell the authors. Pure."""
