"""`goemo report`: `content` gathers what a report shows, `page` and `markdown` lay it out, `create` writes it."""
