// One line of the rack's own progress, with the time of day.

export function lines(text: string): void {
  console.log(`${new Date().toTimeString().slice(0, 8)} ${text}`);
}
