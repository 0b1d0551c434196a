// Before the first paint: the colours that were chosen, if any. Else those of the system hold.
(function () {
  let theme = null;
  try {
    theme = localStorage.getItem('longship.theme');
  } catch (error) {
    // Storage is closed: as the system.
  }
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
})();
