"""What the formats share: files of a folder, pictures, masks, drawn labels."""
