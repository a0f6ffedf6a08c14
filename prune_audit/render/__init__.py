"""What reports, charts and pages share: numbers, sentences, the page, pictures."""
