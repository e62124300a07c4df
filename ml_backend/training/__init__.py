"""What only learning needs: loops, losses' schedules, sample sheets."""
