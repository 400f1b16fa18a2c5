"""What fault tests share: mutators, and the judge of what a program does with what they make."""
