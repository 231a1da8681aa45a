"""Class maps as a person looks at them: colours, captions, pages."""
