"""The rules of Cronwright as pure functions over frozen data: no I/O, no clock, no logging."""
