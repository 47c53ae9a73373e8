//! Plans and writers for what the user takes away: capture files, listings, tickets, pictures.
