"""`goemo report`: runs on one page. `making` writes it, `content` gathers what it shows, `page` and `markdown` lay it out."""
