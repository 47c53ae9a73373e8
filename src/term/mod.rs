//! Enters and leaves the terminal and turns its events into those of the app.
