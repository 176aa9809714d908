"""Why a detector finds what it finds: activation maps, slots, receptive fields, and reasons for missing boxes."""
