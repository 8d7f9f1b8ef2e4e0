views(page.views);
if (page.views[0][0] === 'replay') opened.replay();
