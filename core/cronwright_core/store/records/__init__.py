"""What goes into the stores and what comes out: frozen data, free of SQLAlchemy. All instants are aware and UTC."""
