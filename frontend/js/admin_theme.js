// The admin panel wears the theme that was chosen in the console: <meta name="causeway-theme" content="dark">. Loaded in
// the head, so that nothing flickers.
const chosen = document.querySelector('meta[name="causeway-theme"]')?.content;
if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
