"""What the formats share: pictures, masks, drawn labels, class lists."""
