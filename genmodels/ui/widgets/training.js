views(page.views);
