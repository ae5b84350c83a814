"""The JSON files of a project as typed documents."""
