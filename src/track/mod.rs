//! The one pass over a capture: connections, stream order, SMP sessions, TDS messages and requests.
