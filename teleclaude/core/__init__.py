"""What every process shares: records, wire formats, settings, places, errors. Pure, or nearly."""
