"""How much a method unlearns: loss on a general text that is not the task's, before and after training."""
