#pragma once

namespace sae {

/// From now on the first Ctrl-C (SIGINT) or SIGTERM only sets a flag, so that long work can write a checkpoint and stop
/// at a good place; a second one ends the program at once.
void catch_interrupts();
bool interrupted();
/// Forgets an interruption: for a program that goes on after one.
void clear_interrupt();

}  // namespace sae
