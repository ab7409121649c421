"""What goes over the wire: bodies with strict JSON types, answers with the document's field names."""
