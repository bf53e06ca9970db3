"""Before an audit: does everything open, what does it look like, and what will the audit cost?"""
